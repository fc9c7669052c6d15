#version 330 core
// The ball: dim and matt at rest, self-lit when active; farther balls sink into the background.
#include "light.glsl"
uniform vec2 u_depth_range;   // nearest and farthest ball
in vec2 v_uv;
flat in vec4 v_colour;
flat in float v_depth;
out vec4 f_colour;
void main() {
    float r2 = dot(v_uv, v_uv);
    if (r2 > 1.0) discard;
    float z = sqrt(1.0 - r2);
    float key = clamp(dot(vec3(v_uv, z), normalize(vec3(-0.45, 0.65, 0.62))), 0.0, 1.0);
    float far = smoothstep(u_depth_range.x, u_depth_range.y, v_depth);
    float glow = v_colour.a;
    vec3 lit = v_colour.rgb * (0.10 + 0.50 * key) * mix(1.0, 0.35, far);
    lit += v_colour.rgb * glow * (0.30 + 0.75 * z) + vec3(0.55) * glow * glow * z * z * z;
    f_colour = vec4(display(lit), 1.0);
}
