/*
 * A PKCS#11 module that forwards to another one and fails at chosen calls, when it is told to.
 *
 *   FAULTY_MODULE   the module behind it
 *   FAULTY_CONTROL  a file, read at each of the calls below; where there is none, all goes well. A line a fault:
 *                   "C_Sign crash", and at once with "once": the line is heeded by the first process that reads it,
 *                   which removes the file
 *   FAULTY_LOG      a file; a line "C_Sign PID" is appended at each of the calls below but C_Sign's own many
 *
 * The faults:
 *   crash           the process is killed by SIGSEGV
 *   exit            the process ends
 *   hang            the call does not come back
 *   slow N          it takes N milliseconds longer
 *   fork            a process of its own is made, which stays for a minute
 *   hold            it comes back when the file FAULTY_CONTROL.hold is gone
 *   answer N        it answers the code N, and does nothing
 *   after N         it does its work and answers the code N
 *   long            it does its work and says that what it wrote is longer than any memory
 *   short           it does its work and says that it wrote nothing
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "forward.h"

/* The calls that can fail: place in the list, name, parameters, arguments, where the length is that they write. */
#define CALLS(X)                                                                                                       \
    X(0, C_Initialize, (void *a), (a), NULL)                                                                           \
    X(4, C_GetSlotList, (CK_BYTE a, CK_HANDLE *b, CK_ULONG *c), (a, b, c), c)                                          \
    X(7, C_GetMechanismList, (CK_HANDLE a, CK_ULONG *b, CK_ULONG *c), (a, b, c), c)                                    \
    X(12, C_OpenSession, (CK_HANDLE a, CK_ULONG b, void *c, void *d, CK_HANDLE *e), (a, b, c, d, e), NULL)             \
    X(18, C_Login, (CK_HANDLE a, CK_ULONG b, CK_BYTE *c, CK_ULONG d), (a, b, c, d), NULL)                              \
    X(19, C_Logout, (CK_HANDLE a), (a), NULL)                                                                          \
    X(24, C_GetAttributeValue, (CK_HANDLE a, CK_HANDLE b, CK_ULONG * c, CK_ULONG d), (a, b, c, d), c + 2)              \
    X(26, C_FindObjectsInit, (CK_HANDLE a, void *b, CK_ULONG c), (a, b, c), NULL)                                      \
    X(27, C_FindObjects, (CK_HANDLE a, CK_HANDLE *b, CK_ULONG c, CK_ULONG *d), (a, b, c, d), d)                        \
    X(42, C_SignInit, (CK_HANDLE a, void *b, CK_HANDLE c), (a, b, c), NULL)                                            \
    X(43, C_Sign, (CK_HANDLE a, CK_BYTE * b, CK_ULONG c, CK_BYTE * d, CK_ULONG * e), (a, b, c, d, e), e)

enum {
#define NUMBER(place, name, parameters, arguments, length) name##_number,
    CALLS(NUMBER) COUNT
};

static struct list ours;
static void *behind[COUNT];
static const char *control, *record;

static void note(const char *call) {
    int out = record && strcmp(call, "C_Sign") ? open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (out >= 0) {
        char line[64];
        int length = snprintf(line, sizeof line, "%s %d\n", call, (int)getpid());
        if (write(out, line, (size_t)length) < 0)
            abort();
        close(out);
    }
}

/* What is to go wrong with a call: the word behind its name; an empty one where nothing is. */
static void fault(const char *call, char word[16], CK_ULONG *number) {
    char line[128], name[32], once[16];
    word[0] = 0;
    FILE *in = control ? fopen(control, "re") : NULL;
    while (in && fgets(line, sizeof line, in)) {
        *number = 0;
        once[0] = 0;
        if (sscanf(line, "%31s %15s %li %15s", name, word, (long *)number, once) >= 2 && strcmp(name, call) == 0)
            break;
        word[0] = 0;
    }
    if (in)
        fclose(in);
    /* Of several that come here at once, it is the one's that can remove the file. */
    if (word[0] && strcmp(once, "once") == 0 && unlink(control) != 0)
        word[0] = 0;
}

/* Before a call: answers whether it is to be left out. */
static int before(const char *word, CK_ULONG number) {
    if (!strcmp(word, "crash"))
        *(volatile int *)NULL = 0;
    if (!strcmp(word, "exit"))
        _exit(3);
    while (!strcmp(word, "hang"))
        pause();
    if (!strcmp(word, "fork") && fork() == 0) {
        sleep(60);
        _exit(0);
    }
    if (!strcmp(word, "slow"))
        usleep((useconds_t)number * 1000);
    if (!strcmp(word, "hold")) {
        char held[4096];
        snprintf(held, sizeof held, "%s.hold", control);
        while (access(held, F_OK) == 0)
            usleep(1000);
    }
    return !strcmp(word, "answer");
}

/* After a call. */
static CK_RV after(const char *word, CK_ULONG number, CK_RV done, CK_ULONG *length) {
    if (length && !strcmp(word, "long"))
        *length = ~0UL / 2;
    if (length && !strcmp(word, "short"))
        *length = 0;
    return strcmp(word, "after") ? done : number;
}

#define WRAPPER(place, name, parameters, arguments, length)                                                            \
    static CK_RV name parameters {                                                                                     \
        char word[16];                                                                                                 \
        CK_ULONG number = 0;                                                                                           \
        note(#name);                                                                                                   \
        fault(#name, word, &number);                                                                                   \
        if (before(word, number))                                                                                      \
            return number;                                                                                             \
        CK_RV done = ((CK_RV(*) parameters)behind[name##_number])arguments;                                            \
        return after(word, number, done, length);                                                                      \
    }
CALLS(WRAPPER)

CK_RV C_GetFunctionList(struct list **list) {
    if (!behind[0]) {
        struct list *theirs = module_behind("FAULTY_MODULE");
        if (!theirs)
            return CKR_GENERAL_ERROR;
        control = getenv("FAULTY_CONTROL");
        record = getenv("FAULTY_LOG");
        ours = *theirs;
#define TAKE(place, name, parameters, arguments, length)                                                               \
    behind[name##_number] = theirs->function[place];                                                                   \
    ours.function[place] = (void *)name;
        CALLS(TAKE)
    }
    *list = &ours;
    return 0;
}
