#version 330 core
// Antialiasing after the fact (after T. Lottes, FXAA, 2009): where brightness jumps, average along the edge.
// Far cheaper than multisampling on a software renderer.
uniform sampler2D u_picture;
uniform vec2 u_texel;
in vec2 v_uv;
out vec4 f_colour;
float luma(vec3 c) { return dot(c, vec3(0.299, 0.587, 0.114)); }
// Unfiltered neighbours: a software renderer fetches one texel where it would blend four.
float luma_at(int x, int y) {
    ivec2 last = textureSize(u_picture, 0) - 1;
    return luma(texelFetch(u_picture, clamp(ivec2(gl_FragCoord.xy) + ivec2(x, y), ivec2(0), last), 0).rgb);
}
void main() {
    vec4 found = texelFetch(u_picture, ivec2(gl_FragCoord.xy), 0);
    vec3 here = found.rgb;
    float m = luma(here);
    float nw = luma_at(-1, 1);
    float ne = luma_at(1, 1);
    float sw = luma_at(-1, -1);
    float se = luma_at(1, -1);
    float low = min(m, min(min(nw, ne), min(sw, se)));
    float high = max(m, max(max(nw, ne), max(sw, se)));
    if (high - low < max(0.035, 0.10 * high) || found.a < 0.5) {  // alpha 0: soft dots, which have no edges
        f_colour = vec4(here, 1.0);
        return;
    }
    vec2 along = vec2((sw + se) - (nw + ne), (ne + se) - (nw + sw));  // at right angles to the gradient
    float shrink = max((nw + ne + sw + se) * 0.03125, 1.0 / 128.0);
    along = clamp(along / (min(abs(along.x), abs(along.y)) + shrink), -8.0, 8.0) * u_texel;
    vec3 near = 0.5 * (texture(u_picture, v_uv - along / 6.0).rgb + texture(u_picture, v_uv + along / 6.0).rgb);
    vec3 wide = 0.5 * near + 0.25 * (texture(u_picture, v_uv - 0.5 * along).rgb + texture(u_picture, v_uv + 0.5 * along).rgb);
    float w = luma(wide);
    f_colour = vec4(w < low || w > high ? near : wide, 1.0);
}
