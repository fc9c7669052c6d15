#version 330 core
// A soft dot, added onto what is there.
flat in vec3 v_colour;
flat in float v_core;
out vec4 f_colour;
void main() {
    vec2 p = 2.0 * gl_PointCoord - 1.0;
    float a = max(1.0 - dot(p, p), 0.0);
    f_colour = vec4(v_colour * (a * mix(1.0, a, v_core)), 1.0);
}
