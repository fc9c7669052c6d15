#version 330 core
// The head of a pulse: a soft dot, added.
#include "pulse.glsl"
in vec3 v_own;
flat in float v_level;
out vec4 f_colour;
void main() {
    vec2 p = 2.0 * gl_PointCoord - 1.0;
    float a = max(1.0 - dot(p, p), 0.0);
    f_colour = vec4(mix(v_own * v_own, PULSE_COLOUR, 0.5 * v_level) * (v_level * 0.30 * a * a), 0.0);
}
