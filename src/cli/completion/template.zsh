#compdef oncall
# zsh completion of oncall. Made from the commands themselves when the package is built: do not edit.
#
# Live names come from files that oncall keeps. No process is started for them, and nothing of them is evaluated: whoever wrote
# those files, what is no plain name is left out, and so is a description that could steer the terminal.

#{tables}

# Sets folder to where oncall keeps its cache or config ($1) for the profile $2.
__oncall_folder() {
  local xdg=${XDG_CACHE_HOME-} own=.cache
  [[ $1 == config ]] && xdg=${XDG_CONFIG_HOME-} own=.config
  if [[ -n ${ONCALL_HOME-} ]]; then
    [[ $ONCALL_HOME == /* ]] || return 1
    folder=$ONCALL_HOME/$1
  elif [[ $xdg == /* ]]; then folder=$xdg/oncall
  elif [[ ${HOME-} == /* ]]; then folder=$HOME/$own/oncall
  else return 1
  fi
  [[ -z $2 || $2 == default ]] && return 0
  [[ $2 == [a-z0-9][a-z0-9-]# ]] || return 1
  folder+=/profiles/$2
}

# Sets found to the rows of the list $1: those that begin with what is typed, or all where none does (for matchers).
__oncall_names() {
  emulate -L zsh
  setopt extendedglob
  local folder
  local -a files hits
  found=()
  __oncall_folder cache "$profile" || return 0
  files=( "$folder/complete/$1"(N.rUL-4194305) )
  (( $#files )) || return 0
  found=( ${(f)"$(<$files[1])"} ) 2>/dev/null
  if [[ -n $PREFIX ]]; then
    hits=( ${(M)found:#${(b)${(Q)PREFIX}}*} )
    (( $#hits == 0 )) || found=( $hits )
  fi
  if (( $#found > 200 )); then
    # Nobody reads that many descriptions.
    found=( ${(M)${found%%$'\t'*}:#[A-Za-z0-9][A-Za-z0-9._@/+:-]#} )
  else
    found=( ${(M)found:#[A-Za-z0-9][A-Za-z0-9._@/+:-]#($'\t'*)#} )
  fi
}

__oncall_profiles() {
  emulate -L zsh
  setopt extendedglob
  local folder
  found=()
  __oncall_folder config '' || return 0
  found=( "$folder"/profiles/[a-z0-9][a-z0-9-]#(N-/:t) )
}

# Whether a description can be shown: all of it prints, and nothing turns the direction of writing.
__oncall_shows() {
  emulate -L zsh
  setopt extendedglob
  [[ $1 == [[:print:]]# ]] || return 1
  unsetopt multibyte
  [[ $1 != *($'\xe2\x80'[$'\x8b'-$'\x8f'$'\xa8'-$'\xae']|$'\xe2\x81'[$'\xa6'-$'\xa9']|$'\xef\xbb\xbf')* ]]
}

# Turns the rows of found, each a name with perhaps a description and an end, into names and what is shown for each.
__oncall_columns() {
  emulate -L zsh
  setopt extendedglob
  local row left width
  local -a parts texts
  names=( $found )
  shown=()
  # So many have no description: see above.
  (( $#found <= 200 )) && [[ -n ${(M)found:#*$'\t'*} ]] || return 0
  names=()
  zmodload zsh/datetime 2>/dev/null
  for row in $found; do
    (( $#row <= 512 )) || continue
    parts=( "${(@ps:\t:)row}" )
    if [[ ${parts[3]-} == [1-9][0-9](#c0,11) && -n ${EPOCHSECONDS-} ]]; then
      left=$(( parts[3] - EPOCHSECONDS ))
      (( left > 0 )) || continue
      if (( left < 3600 )); then left="$(( left / 60 ))m left"
      else left="$(( left / 3600 ))h$(( left % 3600 / 60 ))m left"
      fi
      parts[2]=${parts[2]:+$parts[2], }$left
    fi
    names+=( $parts[1] )
    __oncall_shows "${parts[2]-}" || parts[2]=''
    texts+=( "${parts[2]-}" )
  done
  width=${#${(O@)names//?/x}[1]}
  for (( row = 1; row <= $#names; row++ )); do
    shown+=( "${(pr:width:)names[row]}${texts[row]:+  -- $texts[row]}" )
  done
}

# Offers the rows of found under the tag $1, which are $2.
__oncall_show() {
  local expl
  local -a names shown
  __oncall_columns
  (( $#names )) || return 1
  if (( $#shown )); then _wanted $1 expl $2 compadd -l -d shown -a names
  else _wanted $1 expl $2 compadd -a names
  fi
}

# Offers what the words of offer stand for.
__oncall_offer() {
  local word ret=1
  local -a found fixed
  for word in $offer; do
    case $word in
      # Roles only where one is being typed: there are several for each resource.
      @roles) [[ $PREFIX != *:* ]] || { __oncall_names roles; __oncall_show roles role && ret=0 } ;;
      @profiles) __oncall_profiles; __oncall_show profiles profile && ret=0 ;;
      @*) __oncall_names ${word#@}; __oncall_show ${word#@} ${word#@} && ret=0 ;;
      /f) _files && ret=0 ;;
      /d) _files -/ && ret=0 ;;
      !) ;;
      *) fixed+=( $word ) ;;
    esac
  done
  if (( $#fixed )); then
    found=( $fixed )
    __oncall_show $1 $2 && ret=0
  fi
  return ret
}

_oncall() {
  local profile=${ONCALL_PROFILE-} command='' takes='' option='' word ret=1
  local -a offer
  local -i i arguments=0
  for (( i = 2; i < CURRENT; i++ )); do
    word=${(Q)words[i]}
    if [[ -n $takes && ! ( $takes == '?' && $word == -* ) ]]; then
      [[ $option == --profile ]] && profile=$word
      takes=''
      continue
    fi
    takes=''
    case $word in
      --)
        __oncall_rest "$command"
        [[ $offer == '!' ]] || return 1
        shift $i words
        (( CURRENT -= i ))
        _normal
        return
        ;;
      --profile=*) profile=${word#*=} ;;
      --*=*) ;;
      -*)
        option=$word
        __oncall_value "$command $word"
        ;;
      *)
        (( arguments == 0 )) && __oncall_child "$command/$word" || (( arguments++ ))
        ;;
    esac
  done
  if [[ -n $takes && ! ( $takes == '?' && $PREFIX == -* ) ]]; then
    __oncall_offer values value && ret=0
  elif [[ $PREFIX == --*=* ]]; then
    takes=''
    __oncall_value "$command ${PREFIX%%=*}"
    compset -P 1 '*='
    [[ -n $takes ]] && __oncall_offer values value && ret=0
  elif [[ $PREFIX == -* ]]; then
    __oncall_options "$command"
    __oncall_offer options option && ret=0
  else
    if (( arguments == 0 )); then
      __oncall_commands "$command"
      __oncall_offer commands command && ret=0
    fi
    __oncall_argument "$command $arguments"
    __oncall_offer values value && ret=0
  fi
  return ret
}

# Loaded by its name from a folder of fpath, or sourced.
if [[ ${funcstack[1]-} == _oncall ]]; then _oncall "$@"
else compdef _oncall oncall
fi
