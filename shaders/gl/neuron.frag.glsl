#version 330 core
// A soft dot: its middle covers what is there (so that crowds keep their colour), its halo is added.
flat in vec3 v_colour;
flat in float v_core;
flat in float v_cover;
out vec4 f_colour;
void main() {
    vec2 p = 2.0 * gl_PointCoord - 1.0;
    float a = max(1.0 - dot(p, p), 0.0);
    float b = a * mix(1.0, a, v_core);
    f_colour = vec4(v_colour * b, b * v_cover);
}
