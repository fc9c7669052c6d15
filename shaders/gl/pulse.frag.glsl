#version 330 core
in vec3 v_colour;
out vec4 f_colour;
void main() {
    vec2 p = 2.0 * gl_PointCoord - 1.0;
    float a = max(1.0 - dot(p, p), 0.0);
    f_colour = vec4(v_colour * a * a, 0.0);
}
