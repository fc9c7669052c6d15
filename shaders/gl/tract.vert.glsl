#version 330 core
// A point of a tract's curve. Its brightness is what the source did `along * delay` ago: pulses travel with the delay.
#include "place.glsl"
#include "pulse.glsl"
uniform mat4 u_view_projection;
uniform float u_lag;              // how far the picture is behind the newest spikes [ms]
uniform float u_head;             // > 0: draw points of this size [m] where a pulse is, else lines
uniform float u_pixels;
in vec3 in_mm;
in vec4 in_tract;                 // along 0..1, delay [ms], source row, -
in vec3 in_colour;
out vec3 v_own;
out float v_age;
flat out float v_row;
flat out float v_level;           // at this point, for a head
void main() {
    v_age = in_tract.x * in_tract.y + u_lag;
    v_row = in_tract.z;
    v_own = in_colour;
    v_level = 0.0;
    gl_Position = u_view_projection * vec4(place(in_mm), 1.0);
    gl_PointSize = 1.0;
    if (u_head > 0.0) {
        v_level = pulse_level(v_age, v_row);
        if (v_level < 0.06) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
        gl_PointSize = clamp(2.0 * u_head * u_pixels * (0.5 + v_level) / gl_Position.w, 1.0, 24.0);
    }
}
