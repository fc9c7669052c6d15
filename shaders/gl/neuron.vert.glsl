#version 330 core
// A neuron as a point: faint when silent, larger and towards white for a moment after each of its spikes.
#include "place.glsl"
uniform mat4 u_view_projection;
uniform float u_pixels;           // pixels per world metre at distance 1 (w = 1)
uniform float u_radius;           // of a silent neuron [m]
uniform float u_rest;             // brightness of a silent neuron
uniform vec3 u_computed;          // colours of activity by its origin, linear
uniform vec3 u_injected;
uniform vec3 u_hand_set;
in vec3 in_mm;
in vec4 in_colour;                // sRGB of its structure, relative radius
in vec4 in_state;                 // glow 0..1, origin / 255, selected, -
flat out vec3 v_colour;
flat out float v_core;
flat out float v_cover;
void main() {
    float glow = in_state.x;
    int origin = int(in_state.y * 255.0 + 0.5);
    vec3 own = in_colour.rgb * in_colour.rgb;
    float strength = u_rest + 0.85 * glow;
    vec3 colour = mix(own, u_computed, 0.45 * glow * glow * glow);
    if (origin == 1) { colour = u_injected; strength = max(strength, 0.55); }
    if (origin == 2) { colour = u_hand_set; strength = 0.75; }
    if (in_state.z > 0.5) { strength += 0.35; colour = mix(colour, vec3(1.0), 0.25); }
    gl_Position = u_view_projection * vec4(place(in_mm), 1.0);
    float size = 2.0 * u_radius * in_colour.a * u_pixels / gl_Position.w;
    float wide = 1.0 + 1.25 * glow + (origin > 0 ? 0.5 : 0.0) + 0.5 * in_state.z;
    gl_PointSize = clamp(size * wide, 1.0, 40.0);
    v_cover = min(1.0, size * wide * 0.55) * mix(0.40, 0.30, glow);     // smaller than a pixel: thinner instead
    v_colour = sqrt(colour) * strength * min(1.0, size * size * wide * 0.30);
    v_core = glow;
}
