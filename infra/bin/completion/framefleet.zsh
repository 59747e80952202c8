# Completes `framefleet …` and `npx framefleet …` in zsh. Printed by `framefleet completion zsh`, behind a line that sets
# _framefleet_program.

# $@: the words behind `framefleet`, up to the one to complete.
_framefleet_words() {
  local -a found
  local line word summary
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      _files
    else
      word=${line%%$'\t'*} summary=${line#*$'\t'}
      # A colon would separate the word from its summary.
      found+=("${word//:/\\:}${summary:+:$summary}")
    fi
  done < <("$_framefleet_program" completion words -- "$@" 2>/dev/null </dev/null)
  (( $#found )) && _describe -t words framefleet found
}

_framefleet() {
  _framefleet_words "${(@)words[2,CURRENT]}"
}

_framefleet_npx() {
  if [[ ${words[2]} == framefleet ]] && (( CURRENT > 2 )); then
    _framefleet_words "${(@)words[3,CURRENT]}"
  else
    _default
  fi
}

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _framefleet framefleet
(( $+_comps[npx] )) || compdef _framefleet_npx npx
