#version 330 core
const bool SHADED = true;
#include "ground.glsl"
