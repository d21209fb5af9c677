declare module 'fs-native-extensions' {
  /** A lock on the open file; false if another open file holds one that excludes it. Freed when the file is closed. */
  function tryLock(fd: number, options?: { shared?: boolean }): boolean;
  export default { tryLock };
}
