/*
 * A PKCS#11 module that forwards to another one and stands still, as a whole process, at chosen calls, so that its
 * memory can be looked at there.
 *
 *   STOPPER_MODULE  the module behind it
 *   STOPPER_LOG     a file; a line "before C_Sign PID" or "after C_Sign PID" is written just before it stops
 *   STOPPER_AT      where it stops, as " before C_CreateObject after C_Sign "; it goes on at SIGCONT
 *
 * The signal goes to the calling thread, which then stops before it can go on; one to the process might reach another
 * thread first.
 *
 * What is done at a stop needs next to no stack: more would overwrite what the caller left there, which is what the
 * test is looking for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "forward.h"

/* The calls that can be stopped at: place in the list, name, parameters, arguments. */
#define CALLS(X)                                                                                                       \
    X(9, C_InitToken, (CK_HANDLE a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d), (a, b, c, d))                                 \
    X(10, C_InitPIN, (CK_HANDLE a, CK_BYTE *b, CK_ULONG c), (a, b, c))                                                 \
    X(13, C_CloseSession, (CK_HANDLE a), (a))                                                                          \
    X(18, C_Login, (CK_HANDLE a, CK_ULONG b, CK_BYTE *c, CK_ULONG d), (a, b, c, d))                                    \
    X(20, C_CreateObject, (CK_HANDLE a, void *b, CK_ULONG c, CK_HANDLE *d), (a, b, c, d))                              \
    X(22, C_DestroyObject, (CK_HANDLE a, CK_HANDLE b), (a, b))                                                         \
    X(24, C_GetAttributeValue, (CK_HANDLE a, CK_HANDLE b, void *c, CK_ULONG d), (a, b, c, d))                          \
    X(26, C_FindObjectsInit, (CK_HANDLE a, void *b, CK_ULONG c), (a, b, c))                                            \
    X(42, C_SignInit, (CK_HANDLE a, void *b, CK_HANDLE c), (a, b, c))                                                  \
    X(43, C_Sign, (CK_HANDLE a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e), (a, b, c, d, e))

enum {
#define NUMBER(place, name, parameters, arguments) name##_number,
    CALLS(NUMBER) COUNT
};

static struct list ours;
static struct {
    char line[64];
    size_t length;
    int wanted;
} stops[COUNT][2];
static void *behind[COUNT];
static int out = -1;
static pid_t self;

static void stop(int number, int after) {
    if (stops[number][after].wanted && write(out, stops[number][after].line, stops[number][after].length) > 0)
        syscall(SYS_tgkill, self, syscall(SYS_gettid), SIGSTOP);
}

#define WRAPPER(place, name, parameters, arguments)                                                                    \
    static CK_RV name parameters {                                                                                     \
        stop(name##_number, 0);                                                                                        \
        CK_RV done = ((CK_RV(*) parameters)behind[name##_number])arguments;                                            \
        stop(name##_number, 1);                                                                                        \
        return done;                                                                                                   \
    }
CALLS(WRAPPER)

static void prepare(int number, int after, const char *name, const char *at) {
    char wanted[64];
    const char *when = after ? "after" : "before";
    snprintf(wanted, sizeof wanted, " %s %s ", when, name);
    stops[number][after].wanted = at && strstr(at, wanted);
    stops[number][after].length = (size_t)snprintf(stops[number][after].line, sizeof stops[number][after].line,
                                                   "%s %s %d\n", when, name, (int)self);
}

CK_RV C_GetFunctionList(struct list **list) {
    if (!behind[0]) {
        const char *log = getenv("STOPPER_LOG"), *at = getenv("STOPPER_AT");
        struct list *theirs = module_behind("STOPPER_MODULE");
        if (!theirs)
            return CKR_GENERAL_ERROR;
        self = getpid();
        out = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
        ours = *theirs;
#define TAKE(place, name, parameters, arguments)                                                                       \
    behind[name##_number] = theirs->function[place];                                                                   \
    ours.function[place] = (void *)name;                                                                               \
    prepare(name##_number, 0, #name, at);                                                                              \
    prepare(name##_number, 1, #name, at);
        CALLS(TAKE)
    }
    *list = &ours;
    return 0;
}
