#version 330 core
const bool SHADED = false;
#include "ground.glsl"
