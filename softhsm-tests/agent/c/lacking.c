/*
 * A library to be preloaded: a kernel that answers one call, where it is made by its number, with an error.
 *
 *   LACKS   the number of the call, and of the error
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

long syscall(long number, ...) {
    static long (*real)(long, ...);
    static long lacking = -1;
    static int error;
    const char *lacks = getenv("LACKS");
    long arguments[6];
    va_list given;
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
        if (!real || !lacks || sscanf(lacks, "%ld %d", &lacking, &error) != 2)
            abort();
    }
    if (number == lacking) {
        errno = error;
        return -1;
    }
    va_start(given, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(given, long);
    va_end(given);
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
