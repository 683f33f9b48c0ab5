/**
 * The version and commit of the program, set by the build.
 */

// Set by `bun build --define`; undefined when the sources are run directly.
declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;

/** The version of the program, and the commit it was built from. */
export const VERSION = typeof BUILD_VERSION === "string" ? BUILD_VERSION : "0.0.0";
export const COMMIT = typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "source";

/** `buntracker 0.1.0 (a1b2c3d, bun 1.4.5, linux-x64)` */
export function versionLine(): string {
  const platform = `${process.platform}-${process.arch}`;
  return `buntracker ${VERSION} (${COMMIT}, bun ${Bun.version}, ${platform})`;
}
