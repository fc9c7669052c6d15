#version 330 core
// Occlusion of the sky by the nearest point of the segment; multiplied onto the floor.
uniform float u_ground_height;
in vec2 v_ground;
flat in vec3 v_from;
flat in vec3 v_to;
flat in float v_radius;
out vec4 f_colour;
void main() {
    vec3 p = vec3(v_ground, u_ground_height);
    vec3 d = v_to - v_from;
    float t = clamp(dot(p - v_from, d) / max(dot(d, d), 1e-9), 0.0, 1.0);
    vec3 q = v_from + t * d;
    float away = distance(p.xy, q.xy) / v_radius;
    float height = max(q.z - u_ground_height - v_radius, 0.0) / v_radius;
    float dark = 0.55 * exp(-0.85 * away * away) / (1.0 + 1.4 * height * height);
    dark *= smoothstep(2.6, 1.6, away);
    f_colour = vec4(vec3(1.0 - dark), 1.0);
}
