# Completes `framefleet …` and `npx framefleet …` in bash. Printed by `framefleet completion bash`, behind a line that sets
# _framefleet_program.

# $1: the index of `framefleet` among the words.
_framefleet_words() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default 2>/dev/null
    else
      COMPREPLY+=("${line%%$'\t'*}")
    fi
  done < <("$_framefleet_program" completion words -- "${COMP_WORDS[@]:$1 + 1:COMP_CWORD - $1}" 2>/dev/null </dev/null)
}

_framefleet() {
  _framefleet_words 0
}

_framefleet_npx() {
  if [[ ${COMP_WORDS[1]} == framefleet && $COMP_CWORD -gt 1 ]]; then
    _framefleet_words 1
  else
    compopt -o default 2>/dev/null
  fi
}

complete -F _framefleet framefleet
complete -p npx &>/dev/null || complete -F _framefleet_npx npx
