#version 330 core
#include "light.glsl"
out vec4 f_colour;
void main() { f_colour = vec4(display(background()), 1.0); }
