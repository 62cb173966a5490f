/* rps ENDPOINT SECONDS [COMMAND]: requests a second on one kept connection to circus, one at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    static char reply[1 << 20];
    char request[256];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (argc < 3) {
        fprintf(stderr, "usage: rps ENDPOINT SECONDS [COMMAND]\n");
        return 2;
    }
    const char *path = strncmp(argv[1], "ipc://", 6) ? argv[1] : argv[1] + 6;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(s, (void *)&address, sizeof address)) {
        perror(path);
        return 1;
    }
    int length = snprintf(request, sizeof request, "{\"id\":1,\"command\":\"%s\"}\n", argc > 3 ? argv[3] : "status");
    double start = now(), end = start + atof(argv[2]);
    long done = 0;
    while (now() < end) {
        if (write(s, request, length) != length)
            return 1;
        size_t got = 0;
        do {
            ssize_t n = read(s, reply + got, sizeof reply - got);
            if (n <= 0)
                return 1;
            got += n;
        } while (reply[got - 1] != '\n');
        if (!strstr(reply, "\"status"))
            return 1;
        done++;
    }
    printf("%.0f\n", done / (now() - start));
    return 0;
}
