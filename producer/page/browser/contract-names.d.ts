/** What the files of `shared/contract` use of Node. The page takes only their types, so it never calls these. */
declare module 'node:assert/strict' {
  const assert: (condition: boolean, message?: string) => asserts condition;
  export default assert;
}
declare const Buffer: {
  byteLength(text: string): number;
  from(content: string, encoding?: string): { toString(encoding: string): string };
};
