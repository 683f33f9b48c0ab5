/**
 * When code is compiled: late at the start, as usual from then on.
 *
 * The binary is built so that the engine compiles code only after it ran 64 times as often as usual
 * (Makefile, `--compile-jit-policy`). What reads the settings runs once: compiled, it took 0.5 MB
 * for as long as the tracker ran. Each thread begins that way.
 */

/** From now on this thread compiles code as usual. Call it once the settings are read. */
export function compileAsUsual(): void {
  Bun.unsafe.setJITPolicy(1);
}
