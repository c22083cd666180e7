/*
 * A PKCS#11 module that forwards to another one and takes less than that: NARROW_MODULE names the one behind it,
 * NARROW_AS what it is like.
 *
 *   typed             keys of the type for one HMAC only, no generic secrets
 *   yubihsm           the same, and what Yubico writes of yubihsm_pkcs11: neither CKA_PRIVATE nor CKA_SENSITIVE in a
 *                     template, and an id of two bytes
 *   sign-fails-once   the first C_Sign fails, with the operation that C_SignInit began still there
 *   none              no mechanism at all, as a module that only shows certificates
 *
 * Where NARROW_DIE is set the process is killed when a key is stored, before it hears of it.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forward.h"

struct attribute {
    CK_ULONG type;
    void *value;
    CK_ULONG length;
};

enum { GET_MECHANISM_LIST = 7, CREATE_OBJECT = 20, SIGN = 43 };
enum { CKA_PRIVATE = 2, CKA_KEY_TYPE = 0x100, CKA_ID = 0x102, CKA_SENSITIVE = 0x103, CKK_GENERIC_SECRET = 0x10 };
enum { CKR_FUNCTION_FAILED = 6, CKR_ATTRIBUTE_TYPE_INVALID = 0x12, CKR_TEMPLATE_INCONSISTENT = 0xd1 };

static struct list ours, *theirs;
static int yubihsm, sign_failed;

static CK_RV create_object(CK_HANDLE session, struct attribute *template, CK_ULONG count, CK_HANDLE *object) {
    struct attribute own[64];
    if (count > 64)
        return CKR_TEMPLATE_INCONSISTENT;
    for (CK_ULONG at = 0; at < count; at++) {
        own[at] = template[at];
        if (own[at].type == CKA_KEY_TYPE && *(CK_ULONG *)own[at].value == CKK_GENERIC_SECRET)
            return CKR_TEMPLATE_INCONSISTENT;
        if (yubihsm && (own[at].type == CKA_PRIVATE || own[at].type == CKA_SENSITIVE))
            return CKR_ATTRIBUTE_TYPE_INVALID;
        if (yubihsm && own[at].type == CKA_ID && own[at].length > 2)
            own[at].length = 2;
    }
    CK_RV (*behind)(CK_HANDLE, struct attribute *, CK_ULONG, CK_HANDLE *) = theirs->function[CREATE_OBJECT];
    CK_RV done = behind(session, own, count, object);
    if (done == 0 && getenv("NARROW_DIE"))
        kill(getpid(), SIGKILL);
    return done;
}

static CK_RV sign(CK_HANDLE session, CK_BYTE *data, CK_ULONG length, CK_BYTE *signature, CK_ULONG *room) {
    if (!sign_failed) {
        sign_failed = 1;
        return CKR_FUNCTION_FAILED;
    }
    CK_RV (*behind)(CK_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *) = theirs->function[SIGN];
    return behind(session, data, length, signature, room);
}

static CK_RV no_mechanisms(CK_HANDLE slot, CK_ULONG *list, CK_ULONG *count) {
    (void)slot;
    (void)list;
    *count = 0;
    return 0;
}

CK_RV C_GetFunctionList(struct list **list) {
    const char *as = getenv("NARROW_AS");
    theirs = module_behind("NARROW_MODULE");
    if (!theirs || !as)
        return CKR_GENERAL_ERROR;
    ours = *theirs;
    yubihsm = strcmp(as, "yubihsm") == 0;
    if (strcmp(as, "sign-fails-once") == 0)
        ours.function[SIGN] = (void *)sign;
    else if (strcmp(as, "none") == 0)
        ours.function[GET_MECHANISM_LIST] = (void *)no_mechanisms;
    else
        ours.function[CREATE_OBJECT] = (void *)create_object;
    *list = &ours;
    return 0;
}
