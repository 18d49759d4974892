# find_package(keystore): libkeystore as it is installed around this file.
#
#   keystore::keystore        the shared library, or the static one if only that is installed
#   keystore::static          the static library, if it is installed
#   keystore::legacy          the library that also has the C predecessor's interface, key_store.h
#   keystore::legacy_static   the same, static

get_filename_component(_keystore_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

include(CMakeFindDependencyMacro)
find_dependency(Threads)

# Adds the targets of one library. The libraries lie in lib, lib64 or Debian's folder of the architecture, whichever the
# installer took.
macro(_keystore_add _keystore_library _keystore_shared_target _keystore_static_target)
    foreach(_keystore_kind SHARED STATIC)
        unset(_keystore_${_keystore_kind})
        set(_keystore_file
            "${CMAKE_${_keystore_kind}_LIBRARY_PREFIX}${_keystore_library}${CMAKE_${_keystore_kind}_LIBRARY_SUFFIX}")
        foreach(_keystore_dir "lib" "lib64" "lib/${CMAKE_LIBRARY_ARCHITECTURE}")
            if(NOT _keystore_${_keystore_kind} AND EXISTS "${_keystore_prefix}/${_keystore_dir}/${_keystore_file}")
                set(_keystore_${_keystore_kind} "${_keystore_prefix}/${_keystore_dir}/${_keystore_file}")
            endif()
        endforeach()
    endforeach()

    if(_keystore_STATIC AND NOT TARGET ${_keystore_static_target})
        add_library(${_keystore_static_target} STATIC IMPORTED)
        set_target_properties(${_keystore_static_target} PROPERTIES
            IMPORTED_LOCATION "${_keystore_STATIC}"
            INTERFACE_INCLUDE_DIRECTORIES "${_keystore_prefix}/include"
            INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
    endif()

    if(NOT TARGET ${_keystore_shared_target})
        if(_keystore_SHARED)
            add_library(${_keystore_shared_target} SHARED IMPORTED)
            set_target_properties(${_keystore_shared_target} PROPERTIES
                IMPORTED_LOCATION "${_keystore_SHARED}"
                INTERFACE_INCLUDE_DIRECTORIES "${_keystore_prefix}/include"
                INTERFACE_LINK_LIBRARIES "Threads::Threads")
        elseif(_keystore_STATIC)
            add_library(${_keystore_shared_target} INTERFACE IMPORTED)
            set_target_properties(${_keystore_shared_target} PROPERTIES
                INTERFACE_LINK_LIBRARIES ${_keystore_static_target})
        endif()
    endif()
endmacro()

_keystore_add(keystore keystore::keystore keystore::static)
_keystore_add(keystore_legacy keystore::legacy keystore::legacy_static)

if(NOT TARGET keystore::keystore)
    set(keystore_FOUND FALSE)
    set(keystore_NOT_FOUND_MESSAGE "there is no libkeystore in ${_keystore_prefix}/lib")
endif()

unset(_keystore_prefix)
unset(_keystore_kind)
unset(_keystore_file)
unset(_keystore_dir)
unset(_keystore_SHARED)
unset(_keystore_STATIC)
