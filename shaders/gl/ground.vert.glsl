#version 330 core
// A large square in the plane geom's own frame, centred under the camera's target.
uniform mat4 u_view_projection;
uniform vec3 u_plane_position;
uniform mat3 u_plane_rotation;
uniform vec2 u_plane_centre;   // in the plane's frame [m]
uniform vec2 u_plane_half;     // half sizes [m]
in vec2 in_position;           // -1..1
out vec3 v_world;
out vec2 v_plane;
void main() {
    v_plane = u_plane_centre + in_position * u_plane_half;
    v_world = u_plane_rotation * vec3(v_plane, 0.0) + u_plane_position;
    gl_Position = u_view_projection * vec4(v_world, 1.0);
}
