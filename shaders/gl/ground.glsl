// SHADED: whether the body's shadow may fall here; a software renderer pays for each look into the shadow map.
// Matt floor with a fine grid every cell and a stronger line every fifth, fading into the background.
#include "light.glsl"
uniform vec3 u_plane_normal;
uniform vec3 u_ground_colour;    // linear
uniform float u_grid_cell;       // [m]
uniform float u_coarse;          // cells between strong lines; 1: a mat with sewn squares instead of a grid
in vec3 v_world;
in vec2 v_plane;
out vec4 f_colour;
float lines(vec2 p, float width) {
    vec2 w = fwidth(p);
    vec2 d = abs(fract(p - 0.5) - 0.5) / w;
    vec2 fade = clamp(1.0 - w * 2.5, 0.0, 1.0);
    vec2 a = (1.0 - smoothstep(width - 0.5, width + 0.5, d)) * fade;
    return max(a.x, a.y);
}
void main() {
    float fog = fog_amount(v_world);
    vec3 albedo = u_ground_colour;
    float fine = lines(v_plane / u_grid_cell, 0.55);
    if (u_coarse > 1.0) {
        albedo *= 1.0 + max(fine * 0.20, lines(v_plane / (u_coarse * u_grid_cell), 0.85) * 0.42);
    } else {
        vec2 in_square = abs(fract(v_plane / u_grid_cell) - 0.5) * 2.0;   // 0 in the middle, 1 at the seam
        float pillow = max(in_square.x, in_square.y);
        albedo *= 1.0 - 0.10 * pillow * pillow * pillow * pillow - 0.10 * fine;
    }
    float key = max(dot(u_plane_normal, u_key_direction), 0.0);
    if (SHADED) key *= key_visibility(v_world, u_plane_normal);
    vec2 aside = (v_world.xy - u_target.xy) / u_fog.x;
    float pool = 1.0 / (1.0 + 1.3 * dot(aside, aside));
    pool *= pool;
    vec3 lit = albedo * (KEY_COLOUR * key * mix(0.22, 1.0, pool) + ambient(u_plane_normal));
    f_colour = vec4(display(mix(lit, background(), fog)), 1.0);
}
