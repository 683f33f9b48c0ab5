/** What an admin handler needs beside a token and lists, where a test does not mind. */
import { OwnNames } from "../../src/net/own-names.ts";

export const ADMIN = {
  now: () => 0,
  ready: () => true,
  names: new OwnNames([]),
  refused: () => {},
  pages: {},
};
