#version 330 core
uniform sampler2D u_picture;
in vec2 v_uv;
out vec4 f_colour;
void main() { f_colour = vec4(texture(u_picture, v_uv).rgb, 1.0); }
