// Compiles Precompiled.h once; see the top CMakeLists.txt.
