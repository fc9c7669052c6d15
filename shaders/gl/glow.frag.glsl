#version 330 core
// Halo of an active point, added onto what is there.
uniform float u_reach;
in vec2 v_uv;
flat in vec4 v_colour;
flat in float v_depth;
out vec4 f_colour;
void main() {
    float r = length(v_uv) / u_reach;
    float halo = pow(clamp(1.0 - r, 0.0, 1.0), 2.4) * v_colour.a * 0.55;
    f_colour = vec4(pow(v_colour.rgb, vec3(1.0 / 2.2)) * halo, 1.0);
}
