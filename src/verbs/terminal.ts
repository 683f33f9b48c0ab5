/**
 * A terminal for `buntracker top`: draws full screens and reads single keys.
 *
 * `open` switches to the alternate screen, hides the cursor and reads keys as they are pressed.
 * `close` restores the terminal; it may be called twice, and must be called in every case.
 */

type KeyHandler = (bytes: Buffer | string) => void;

/** The streams of a process. */
export interface TerminalStreams {
  stdin: {
    isTTY?: boolean;
    on(event: "data", handler: KeyHandler): unknown;
    off(event: "data", handler: KeyHandler): unknown;
    resume(): unknown;
    pause(): unknown;
    setRawMode?(raw: boolean): unknown;
  };
  stdout: { isTTY?: boolean; columns?: number; rows?: number; write(text: string): unknown };
}

/** The size if the terminal does not tell it. [DEC VT100] */
const COLUMNS = 80;
const ROWS = 24;

const OTHER_SCREEN = "\x1b[?1049h\x1b[?25l";
const FIRST_SCREEN = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

export class Terminal {
  readonly #streams: TerminalStreams;
  #open = false;
  #onKey: (bytes: Buffer | string) => void = () => {};

  constructor(streams: TerminalStreams) {
    this.#streams = streams;
  }

  /** True for a terminal; otherwise only plain text should be written. */
  get interactive(): boolean {
    return this.#streams.stdout.isTTY === true && this.#streams.stdin.isTTY === true;
  }

  get columns(): number {
    return this.#streams.stdout.columns || COLUMNS;
  }

  get rows(): number {
    return this.#streams.stdout.rows || ROWS;
  }

  /** Switches the terminal; `onKey` gets every key, such as `q` or `\x03`. */
  open(onKey: (key: string) => void): void {
    const { stdin, stdout } = this.#streams;
    this.#open = true;
    this.#onKey = (bytes) => onKey(bytes.toString());
    stdout.write(OTHER_SCREEN);
    stdin.setRawMode?.(true);
    stdin.on("data", this.#onKey);
    stdin.resume();
  }

  /** Draws the whole screen; lines must fit it. */
  draw(lines: readonly string[]): void {
    const text = lines.map((line) => line + CLEAR_LINE).join("\r\n");
    this.#streams.stdout.write(HOME + text + CLEAR_BELOW);
  }

  /** Restores the terminal. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    const { stdin, stdout } = this.#streams;
    stdin.off("data", this.#onKey);
    stdin.setRawMode?.(false);
    stdin.pause();
    stdout.write(FIRST_SCREEN);
  }
}
