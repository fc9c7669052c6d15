#version 330 core
// One instance per MuJoCo geom. A unit mesh is scaled, its caps pushed apart along z (capsules), rotated and moved.
uniform mat4 u_view_projection;
uniform vec3 u_target;
uniform vec2 u_fog;             // as in light.glsl
in vec3 in_position;   // unit mesh
in vec3 in_normal;
in float in_cap;       // -1, 0 or +1: end of the capsule this vertex belongs to
in vec3 i_position;    // world [m]
in mat3 i_rotation;    // MuJoCo row-major, so it is applied from the right
in vec4 i_colour;      // sRGB, alpha
in vec4 i_size;        // scale xyz, half length of the capsule's cylinder [m]
out vec3 v_world;
out vec3 v_normal;
out vec4 v_colour;
out float v_fog;
void main() {
    vec3 local = in_position * i_size.xyz + vec3(0.0, 0.0, in_cap * i_size.w);
    v_world = local * i_rotation + i_position;
    v_normal = (in_normal / i_size.xyz) * i_rotation;
    v_colour = vec4(pow(i_colour.rgb, vec3(2.2)), i_colour.a);
    v_fog = smoothstep(u_fog.x, u_fog.y, distance(v_world.xy, u_target.xy));
    gl_Position = u_view_projection * vec4(v_world, 1.0);
}
