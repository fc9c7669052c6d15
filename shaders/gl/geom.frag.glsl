#version 330 core
// Skin-like surface: wrapped diffuse key, hemisphere ambient darkened towards the ground, a cool rim, a faint highlight.
#include "light.glsl"
uniform float u_ground_height;   // [m]
uniform float u_body_size;       // [m]
uniform float u_skin;            // 1: opaque; below, skin as glass, clear where it faces the eye
in vec3 v_world;
in vec3 v_normal;
in vec4 v_colour;
in float v_fog;
out vec4 f_colour;
void main() {
    vec3 n = normalize(v_normal);
    vec3 eye = normalize(u_eye - v_world);
    float facing = dot(n, u_key_direction);
    float key = max(facing, 0.0);
    if (facing > 0.0) key *= key_visibility(v_world, n);
    float wrap = clamp(facing * 0.5 + 0.5, 0.0, 1.0);  // the broad side of the key light, which no shadow cuts
    float near_ground = clamp((v_world.z - u_ground_height) / (0.22 * u_body_size), 0.0, 1.0);
    float open = mix(mix(0.45, 0.95, 0.5 + 0.5 * n.z), 1.0, near_ground);
    float edge = 1.0 - clamp(dot(n, eye), 0.0, 1.0);
    float rim = edge * edge * edge * (0.35 + 0.65 * clamp(n.z + 0.3, 0.0, 1.0));
    float shine = clamp(dot(n, normalize(u_key_direction + eye)), 0.0, 1.0);
    shine *= shine; shine *= shine; shine *= shine; shine *= shine;  // to the 16th
    shine *= shine * key;
    vec3 scatter = mix(vec3(1.0), vec3(1.10, 0.93, 0.88), 1.0 - key);  // light that left through skin is redder
    vec3 lit = v_colour.rgb * (KEY_COLOUR * (key * 0.92 * scatter + 0.085 * wrap * wrap * open) + ambient(n) * open)
             + SKY_COLOUR * rim * 0.30 * open + vec3(0.10) * shine;
    vec3 c = mix(lit, HORIZON, v_fog);
    f_colour = vec4(display(c), v_colour.a * mix(u_skin * (0.55 + 1.1 * edge * edge), 1.0, step(1.0, u_skin)));
}
