#version 330 core
// A point of a tract's curve. Its brightness is what the source did `along * delay` ago: pulses travel with the delay.
#include "place.glsl"
uniform mat4 u_view_projection;
uniform sampler2D u_traces;       // row: source, column: age [ms], newest first
uniform float u_rows;
uniform float u_columns;
uniform float u_lag;              // how far the picture is behind the newest spikes [ms]
uniform float u_rest;             // brightness of a silent tract
uniform float u_head;             // > 0: draw points of this size [m] where a pulse is, else lines
uniform float u_pixels;
in vec3 in_mm;
in vec4 in_tract;                 // along 0..1, delay [ms], source row, -
in vec3 in_colour;
out vec3 v_colour;
void main() {
    float age = floor(in_tract.x * in_tract.y + u_lag);
    float level = texture(u_traces, vec2((age + 0.5) / u_columns, (in_tract.z + 0.5) / u_rows)).r;
    if (age >= u_columns) level = 0.0;
    vec3 own = in_colour * in_colour;
    gl_Position = u_view_projection * vec4(place(in_mm), 1.0);
    if (u_head > 0.0) {
        if (level < 0.06) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
        gl_PointSize = clamp(2.0 * u_head * u_pixels * (0.5 + level) / gl_Position.w, 1.0, 24.0);
        v_colour = mix(own, vec3(1.0, 0.93, 0.78), 0.5 * level) * level * 0.45;
    } else {
        v_colour = in_colour * u_rest + mix(own, vec3(1.0, 0.93, 0.78), 0.4) * level * 0.6;
    }
}
