import { afterAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eachPiece, eachPieceUnpacked } from "../../src/access/pieces.ts";
import { CHANGED } from "../../src/host/plain-file.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-pieces-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The pieces a file of this text is read in. */
async function piecesOf(text: string): Promise<string[]> {
  const path = join(folder, "file");
  writeFileSync(path, text, "latin1");
  const pieces: string[] = [];
  await eachPiece(path, async (bytes) => {
    await Bun.sleep(0);
    pieces.push(Buffer.from(bytes).toString("latin1"));
  });
  return pieces;
}

test("pieces end with the end of a line, and together are the file", async () => {
  const line = (n: number): string => `${n} ${"x".repeat(n % 90)}\n`;
  const text = `${Array.from({ length: 20_000 }, (_, n) => line(n)).join("")}the last`;
  const pieces = await piecesOf(text);
  expect(pieces.length).toBeGreaterThan(5);
  expect(pieces.join("") === text).toBe(true);
  for (const piece of pieces.slice(0, -1)) expect(piece.endsWith("\n")).toBe(true);
});

test("a line may be longer than a piece, and a file may be empty", async () => {
  const long = `${"x".repeat(700_000)}\nshort\n`;
  expect((await piecesOf(long)).join("") === long).toBe(true);
  expect(await piecesOf("")).toEqual([]);
  expect(await piecesOf("\n\n")).toEqual(["\n\n"]);
});

test("a file with an endless line is refused before it fills the memory", async () => {
  const path = join(folder, "image");
  writeFileSync(path, "");
  truncateSync(path, 2 ** 36);
  const code = "a line of over 16 MiB";
  await expect(eachPiece(path, async () => {})).rejects.toMatchObject({ code });
  writeFileSync(path, Bun.gzipSync(new Uint8Array(40 * 2 ** 20)));
  await expect(eachPieceUnpacked(path, 1, async () => {})).rejects.toMatchObject({ code });
});

test("a path that cannot be read or is not a file is an error", async () => {
  const nothing = async (): Promise<void> => {};
  const none = join(folder, "none");
  await expect(eachPiece(none, nothing)).rejects.toMatchObject({ code: "ENOENT" });
  await expect(eachPiece(folder, nothing)).rejects.toMatchObject({ code: "not a file" });
});

test("only eachPieceUnpacked decompresses gzip", async () => {
  const path = join(folder, "packed");
  const line = (n: number): string => `${n} ${"x".repeat(n % 90)}\n`;
  const text = `${Array.from({ length: 9000 }, (_, n) => line(n)).join("")}${"y".repeat(300_000)}`;
  const packed = Bun.gzipSync(Buffer.from(text));
  const read = async (bytes: Uint8Array, unpack: boolean): Promise<Buffer> => {
    writeFileSync(path, bytes);
    const pieces: Buffer[] = [];
    const take = async (piece: Uint8Array) => void pieces.push(Buffer.from(piece));
    await (unpack ? eachPieceUnpacked(path, 1, take) : eachPiece(path, take));
    return Buffer.concat(pieces);
  };
  expect((await read(packed, true)).toString() === text).toBe(true);
  expect((await read(packed, false)).equals(packed)).toBe(true);
  expect((await read(Buffer.from(text), true)).toString() === text).toBe(true);
  expect((await read(Buffer.from([0x1f]), true)).toHex()).toBe("1f");
  await expect(read(packed.subarray(0, 500), true)).rejects.toMatchObject({ code: "Z_BUF_ERROR" });
});

test("only eachPieceUnpacked reads a pipe, to its end", async () => {
  const path = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", path]);
  const text = "a line\n".repeat(40_000);
  for (const bytes of [Buffer.from(text), Bun.gzipSync(Buffer.from(text))]) {
    const writer = Bun.spawn(["sh", "-c", `cat > ${path}`], { stdin: bytes });
    const pieces: Buffer[] = [];
    await eachPieceUnpacked(path, 1, async (piece) => void pieces.push(Buffer.from(piece)));
    expect(Buffer.concat(pieces).toString() === text).toBe(true);
    await writer.exited;
  }
  await expect(eachPiece(path, async () => {})).rejects.toMatchObject({ code: "not a file" });
});

test("a file that is written while it is read is refused", async () => {
  const path = join(folder, "written");
  const text = "a line\n".repeat(100_000);
  for (const change of [
    () => appendFileSync(path, "one more\n"),
    () => writeFileSync(path, text.toUpperCase()),
    () => truncateSync(path, 7),
  ]) {
    for (const each of [eachPiece, eachUnpacked]) {
      writeFileSync(path, text);
      let pieces = 0;
      const reading = each(path, async () => {
        if (++pieces !== 2) return;
        // Some kernels count the time of a change in ticks.
        await Bun.sleep(20);
        change();
      });
      await expect(reading).rejects.toMatchObject({ code: CHANGED });
    }
  }
});

test("a file that is replaced by rename while it is read is read as it was", async () => {
  const path = join(folder, "replaced");
  writeFileSync(path, "a line\n".repeat(100_000));
  writeFileSync(`${path}.next`, "next\n");
  let size = 0;
  await eachPiece(path, async (piece) => {
    if (size === 0) renameSync(`${path}.next`, path);
    size += piece.length;
  });
  expect(size).toBe(700_000);
});

test("a file that decompresses to more than the limit is refused", async () => {
  const path = join(folder, "bomb");
  writeFileSync(path, Bun.gzipSync(Buffer.from("a line\n".repeat(200_000))));
  const gibMax = 2 ** -10;
  const reading = eachPieceUnpacked(path, gibMax, async () => {});
  await expect(reading).rejects.toMatchObject({ code: `over ${gibMax} GiB` });
});

const eachUnpacked: typeof eachPiece = (path, take) => eachPieceUnpacked(path, 1, take);
