#version 330 core
// The geoms as the key light sees them; only depth is kept.
uniform mat4 u_view_projection;
in vec3 in_position;
in float in_cap;
in vec3 i_position;
in mat3 i_rotation;
in vec4 i_size;
void main() {
    vec3 local = in_position * i_size.xyz + vec3(0.0, 0.0, in_cap * i_size.w);
    gl_Position = u_view_projection * vec4(local * i_rotation + i_position, 1.0);
}
