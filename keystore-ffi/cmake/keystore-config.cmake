# find_package(keystore): libkeystore as it is installed around this file.
#
#   keystore::keystore   the shared library, or the static one where only that is installed
#   keystore::static     the static library, where it is installed

get_filename_component(_keystore_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

include(CMakeFindDependencyMacro)
find_dependency(Threads)

# The libraries lie in lib, lib64 or Debian's folder of the architecture, whichever the installer took.
foreach(_keystore_kind SHARED STATIC)
    set(_keystore_file "${CMAKE_${_keystore_kind}_LIBRARY_PREFIX}keystore${CMAKE_${_keystore_kind}_LIBRARY_SUFFIX}")
    foreach(_keystore_dir "lib" "lib64" "lib/${CMAKE_LIBRARY_ARCHITECTURE}")
        if(NOT _keystore_${_keystore_kind} AND EXISTS "${_keystore_prefix}/${_keystore_dir}/${_keystore_file}")
            set(_keystore_${_keystore_kind} "${_keystore_prefix}/${_keystore_dir}/${_keystore_file}")
        endif()
    endforeach()
endforeach()

if(_keystore_STATIC AND NOT TARGET keystore::static)
    add_library(keystore::static STATIC IMPORTED)
    set_target_properties(keystore::static PROPERTIES
        IMPORTED_LOCATION "${_keystore_STATIC}"
        INTERFACE_INCLUDE_DIRECTORIES "${_keystore_prefix}/include"
        INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
endif()

if(NOT TARGET keystore::keystore)
    if(_keystore_SHARED)
        add_library(keystore::keystore SHARED IMPORTED)
        set_target_properties(keystore::keystore PROPERTIES
            IMPORTED_LOCATION "${_keystore_SHARED}"
            INTERFACE_INCLUDE_DIRECTORIES "${_keystore_prefix}/include"
            INTERFACE_LINK_LIBRARIES "Threads::Threads")
    elseif(_keystore_STATIC)
        add_library(keystore::keystore INTERFACE IMPORTED)
        set_target_properties(keystore::keystore PROPERTIES INTERFACE_LINK_LIBRARIES keystore::static)
    else()
        set(keystore_FOUND FALSE)
        set(keystore_NOT_FOUND_MESSAGE "there is no libkeystore in ${_keystore_prefix}/lib")
    endif()
endif()

unset(_keystore_prefix)
unset(_keystore_kind)
unset(_keystore_file)
unset(_keystore_dir)
unset(_keystore_SHARED)
unset(_keystore_STATIC)
