#version 330 core
#include "pulse.glsl"
uniform float u_rest;             // brightness of a silent tract
in vec3 v_own;
in float v_age;
flat in float v_row;
out vec4 f_colour;
void main() {
    float level = pulse_level(v_age, v_row);
    f_colour = vec4(v_own * u_rest + mix(v_own * v_own, PULSE_COLOUR, 0.4) * level * 0.6, 0.0);
}
