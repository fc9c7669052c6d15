// Shared by every lit surface: one directional key light with a soft shadow map, hemisphere ambient, fog, tone curve.
// Colours are linear; world axes are MuJoCo's (z up), lengths in metres.
const int SHADOW_TAPS = 4;          // a software renderer takes 1 (gl.load_program)
uniform vec3 u_key_direction;       // unit vector towards the key light
uniform mat4 u_shadow_matrix;       // world -> shadow map [0, 1]
uniform sampler2DShadow u_shadow_map;
uniform float u_shadow_texel;       // 1 / map size
uniform vec3 u_eye;
uniform vec3 u_target;
uniform vec2 u_fog;                 // distances from the target [m]: fog starts, fog is complete
uniform vec2 u_viewport;            // pixels

const vec3 KEY_COLOUR = vec3(1.00, 0.93, 0.84) * 2.05;
const vec3 SKY_COLOUR = vec3(0.52, 0.60, 0.76) * 0.72;
const vec3 EARTH_COLOUR = vec3(0.42, 0.36, 0.33) * 0.42;
const vec3 HORIZON = vec3(0.030, 0.039, 0.058);
const vec3 ZENITH = vec3(0.007, 0.009, 0.015);

vec3 background() {
    float height = gl_FragCoord.y / u_viewport.y;
    return mix(HORIZON, ZENITH, smoothstep(0.35, 1.0, height));
}

// Share of the key light that arrives, 0..1: four hardware-filtered taps around the fragment, one where they are dear.
float key_visibility(vec3 world, vec3 normal) {
    vec3 p = (u_shadow_matrix * vec4(world, 1.0)).xyz;
    vec2 edge = abs(p.xy - 0.5);
    if (max(edge.x, edge.y) > 0.495 || p.z > 1.0) return 1.0;
    float slope = 1.0 - clamp(dot(normal, u_key_direction), 0.0, 1.0);
    p.z -= 0.0012 + 0.0030 * slope;
    if (SHADOW_TAPS == 1) return texture(u_shadow_map, p);
    float r = 1.35 * u_shadow_texel;
    float sum = texture(u_shadow_map, p + vec3(-0.5, -1.0, 0.0) * r) + texture(u_shadow_map, p + vec3(1.0, -0.5, 0.0) * r)
              + texture(u_shadow_map, p + vec3(0.5, 1.0, 0.0) * r) + texture(u_shadow_map, p + vec3(-1.0, 0.5, 0.0) * r);
    return 0.25 * sum;
}

vec3 ambient(vec3 normal) {
    return mix(EARTH_COLOUR, SKY_COLOUR, 0.5 + 0.5 * normal.z);
}

float fog_amount(vec3 world) {
    return smoothstep(u_fog.x, u_fog.y, distance(world.xy, u_target.xy));
}

// Linear to display: a soft shoulder, then the sRGB curve from square roots, which software renderers do fast.
vec3 display(vec3 linear) {
    vec3 c = clamp(linear * (1.0 + linear * 0.10) / (1.0 + linear * 0.62), 0.0, 1.0);
    vec3 s = sqrt(c);
    vec3 t = sqrt(s);
    return clamp(0.585122 * s + 0.783140 * t - 0.368263 * sqrt(t), 0.0, 1.0);
}
