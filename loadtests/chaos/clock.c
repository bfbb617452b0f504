/* A preload that moves the wall clock of one process while it runs, and no other clock.

   Timers of Swift, Dispatch and libcurl go by the steady clocks and must not notice: a step of the wall clock is all
   that is tested. How many milliseconds to add stands in a file of eight bytes, which is mapped, so that whoever
   writes to it steps the clock of the running process.

     cc -O2 -shared -fPIC clock.c -o clock.so
     CHAOS_CLOCK=FILE LD_PRELOAD=./clock.so PROGRAM                                                                  */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t nothing = 0;
static const volatile int64_t *shift = &nothing;

/* Before main, when there is one thread only. */
__attribute__((constructor)) static void map_shift(void) {
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) shift = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    int failure = (int)syscall(SYS_clock_gettime, clock, out);
    if (failure || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failure;
    int64_t moved = (int64_t)out->tv_sec * 1000000000 + out->tv_nsec + *shift * 1000000;
    out->tv_sec = moved / 1000000000;
    out->tv_nsec = moved % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
