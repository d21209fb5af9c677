/** Shell lines that write a file. `content` ends with a newline and has no line that says ONCALL. */
export function writeFile(path: string, content: string): string {
  return `cat > ${path} <<'ONCALL'\n${content}ONCALL`;
}
