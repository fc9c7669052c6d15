// What a source did some time ago, 0..1.
uniform sampler2D u_traces;       // row: source, column: age [ms], newest first
uniform float u_rows;
uniform float u_columns;
const vec3 PULSE_COLOUR = vec3(1.0, 0.93, 0.78);
float pulse_level(float age, float row) {
    float level = texture(u_traces, vec2((floor(age + 1e-3) + 0.5) / u_columns, (row + 0.5) / u_rows)).r;
    return age < u_columns ? level : 0.0;
}
