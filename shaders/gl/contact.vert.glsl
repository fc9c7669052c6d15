#version 330 core
// A soft dark patch on the floor under each geom, which is taken as a segment with a radius.
uniform mat4 u_view_projection;
uniform float u_ground_height;
in vec2 in_position;    // -1..1
in vec3 i_from;         // segment [m]
in vec3 i_to;
in float i_radius;      // [m]
out vec2 v_ground;
flat out vec3 v_from;
flat out vec3 v_to;
flat out float v_radius;
void main() {
    vec2 along = i_to.xy - i_from.xy;
    float len = length(along);
    along = len > 1e-6 ? along / len : vec2(1.0, 0.0);
    float reach = 2.6 * i_radius;
    vec2 centre = 0.5 * (i_from.xy + i_to.xy);
    v_ground = centre + along * in_position.x * (0.5 * len + reach) + vec2(-along.y, along.x) * in_position.y * reach;
    v_from = i_from; v_to = i_to; v_radius = i_radius;
    gl_Position = u_view_projection * vec4(v_ground, u_ground_height, 1.0);
    gl_Position.z -= 2e-4 * gl_Position.w;
}
