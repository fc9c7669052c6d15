// Anatomical millimetres -> world metres. The brain moves as one piece; the cord below it hangs on a chain of nodes.
uniform mat4 u_brain;
uniform vec3 u_cord;              // y and z of the cord's upper end, its length [mm]
uniform vec3 u_chain[8];          // nodes from top to bottom [m]
uniform vec3 u_chain_right[8];    // one millimetre to the right and forward at each node [m]
uniform vec3 u_chain_forward[8];
vec3 place(vec3 mm) {
    if (mm.z >= u_cord.y) return (u_brain * vec4(mm, 1.0)).xyz;
    float t = clamp((u_cord.y - mm.z) / u_cord.z, 0.0, 1.0) * 7.0;
    int k = min(int(t), 6);
    float f = t - float(k);
    vec3 right = mix(u_chain_right[k], u_chain_right[k + 1], f), forward = mix(u_chain_forward[k], u_chain_forward[k + 1], f);
    return mix(u_chain[k], u_chain[k + 1], f) + right * mm.x + forward * (mm.y - u_cord.x);
}
