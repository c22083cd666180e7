/*
 * What the PKCS#11 modules of the tests share, which forward to another one.
 */
#include <dlfcn.h>
#include <stdlib.h>

typedef unsigned long CK_RV, CK_ULONG, CK_HANDLE;
typedef unsigned char CK_BYTE;

#define CKR_GENERAL_ERROR 5UL

/* CK_FUNCTION_LIST of PKCS#11 v2.40: a version, then the functions in the standard's order. */
struct list {
    struct {
        CK_BYTE major, minor;
    } version;
    void *function[68];
};

/* The functions of the module that a variable of the environment names; NULL where there is none. */
static struct list *module_behind(const char *variable) {
    const char *path = getenv(variable);
    void *library = path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
    CK_RV (*get)(struct list **) = library ? (CK_RV(*)(struct list **))dlsym(library, "C_GetFunctionList") : NULL;
    struct list *theirs;
    return get && get(&theirs) == 0 ? theirs : NULL;
}
