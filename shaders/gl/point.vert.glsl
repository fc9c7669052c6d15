#version 330 core
// One camera-facing square per point: a shaded ball in the middle, room for its glow around it.
uniform mat4 u_view;
uniform mat4 u_projection;
uniform float u_reach;      // half side of the square in ball radii
in vec2 in_position;        // -1..1
in vec3 i_position;         // world
in vec4 i_colour;           // sRGB, brightness 0..1
in float i_radius;
out vec2 v_uv;
flat out vec4 v_colour;
flat out float v_depth;     // distance in front of the camera
void main() {
    vec4 eye = u_view * vec4(i_position, 1.0);
    v_depth = -eye.z;
    v_uv = in_position * u_reach;
    v_colour = vec4(pow(i_colour.rgb, vec3(2.2)), i_colour.a);
    eye.xy += v_uv * i_radius;
    gl_Position = u_projection * eye;
}
