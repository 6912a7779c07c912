/* Preloaded before a fuzz target in an ordinary run: tables keep the same order in each, so that the same seed tries the
   same inputs. Nothing that is fuzzed needs real chance. */
#include <string.h>
#include <sys/types.h>

ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
    (void)flags;
    memset(buffer, 7, length);
    return (ssize_t)length;
}
