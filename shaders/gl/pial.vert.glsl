#version 330 core
// The brain's surface as tinted glass: clear where it faces the eye, milky at its rim, lit from within where it is active.
#include "place.glsl"
uniform mat4 u_view_projection;
uniform mat3 u_turn;              // of the normals
uniform vec3 u_eye;
uniform vec3 u_key_direction;
uniform sampler2D u_regions;      // activity of each region, 0..1
uniform float u_region_count;
uniform float u_alpha;
in vec3 in_mm;
in vec3 in_normal;
in vec2 in_skin;                  // sulcal depth -1..1, region + 1
out vec4 v_colour;
void main() {
    vec3 world = place(in_mm);
    gl_Position = u_view_projection * vec4(world, 1.0);
    vec3 n = u_turn * in_normal, eye = normalize(u_eye - world);
    float facing = clamp(dot(n, eye), 0.0, 1.0), rim = 1.0 - facing;
    float key = clamp(dot(n, u_key_direction) * 0.6 + 0.4, 0.0, 1.0);
    float shine = pow(clamp(dot(n, normalize(u_key_direction + eye)), 0.0, 1.0), 18.0);
    float gyrus = 0.5 - 0.5 * in_skin.x;
    vec3 tissue = mix(vec3(0.36, 0.20, 0.30), vec3(0.72, 0.60, 0.66), gyrus);
    vec3 c = tissue * (0.28 + 0.62 * key) + vec3(0.35, 0.45, 0.70) * rim * rim * 0.55 + vec3(0.9) * shine * 0.35;
    float level = in_skin.y > 0.5 ? texture(u_regions, vec2((in_skin.y - 0.5) / u_region_count, 0.5)).r : 0.0;
    c += vec3(1.0, 0.80, 0.52) * level * (0.35 + 0.4 * facing);
    float a = (0.26 + 0.16 * (1.0 - gyrus) + 0.75 * rim * rim + 0.5 * shine + 0.30 * level) * u_alpha;
    v_colour = vec4(c, clamp(a, 0.0, 1.0));
}
