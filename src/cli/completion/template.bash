# bash completion of oncall, for bash 3.2 and newer. Made from the commands themselves when the package is built: do not edit.
#
# Live names come from files that oncall keeps. No process is started for them, and nothing of them is evaluated: whoever wrote
# those files, what is no plain name is left out.

#{tables}

# Sets folder to where oncall keeps its cache or config ($1) for the profile $2.
__oncall_folder() {
  local LC_ALL=C xdg=${XDG_CACHE_HOME-} own=.cache
  if [[ $1 == config ]]; then
    xdg=${XDG_CONFIG_HOME-}
    own=.config
  fi
  case ${ONCALL_HOME-} in
    /*) folder=$ONCALL_HOME/$1 ;;
    ?*) return 1 ;;
    *)
      case $xdg in
        /*) folder=$xdg/oncall ;;
        *)
          case ${HOME-} in
            /*) folder=$HOME/$own/oncall ;;
            *) return 1 ;;
          esac
          ;;
      esac
      ;;
  esac
  case $2 in
    '' | default) ;;
    *[!a-z0-9-]* | -*) return 1 ;;
    *) folder=$folder/profiles/$2 ;;
  esac
}

# Takes what has ended out of rows, whose third column is an end. Newer versions have a clock.
__oncall_lasting() {
  local now=${EPOCHSECONDS-} all row end
  all=("${rows[@]}")
  rows=()
  [[ -n $now ]] || printf -v now '%(%s)T' -1 2>/dev/null || now=0
  case $now in *[!0-9]* | '') now=0 ;; esac
  for row in "${all[@]}"; do
    end=${row##*$'\t'}
    case $end in *[!0-9]* | '' | 0* | ?????????????*) end=$((now + 1)) ;; esac
    ((end <= now)) || rows[${#rows[@]}]=$row
  done
}

# Adds the names of the list $1 that begin with cur. The rows are in the order of their bytes.
__oncall_names() {
  local LC_ALL=C IFS=$'\n' folder file low=0 high end mid row rows
  __oncall_folder cache "$profile" || return 0
  file=$folder/complete/$1
  [[ -f $file && -r $file && -O $file && ! -L $file ]] || return 0
  read -r -d "" -a rows 2>/dev/null <"$file"
  high=${#rows[@]}
  while ((low < high)); do
    mid=$(((low + high) / 2))
    if [[ ${rows[mid]} < $cur ]]; then low=$((mid + 1)); else high=$mid; fi
  done
  end=$low
  high=${#rows[@]}
  while ((end < high)); do
    mid=$(((end + high) / 2))
    if [[ ${rows[mid]} < $cur$'\177' ]]; then end=$((mid + 1)); else high=$mid; fi
  done
  ((end > low)) || return 0
  ((end - low == ${#rows[@]})) || rows=("${rows[@]:low:end-low}")
  case ${rows[0]} in *$'\t'*$'\t'*) __oncall_lasting ;; esac
  ((${#rows[@]} > 0)) || return 0
  rows=("${rows[@]%%$'\t'*}")
  case $IFS${rows[*]} in
    *[!A-Za-z0-9._@/+:$'\n'-]* | *$'\n'[!A-Za-z0-9]*)
      for row in "${rows[@]}"; do
        case $row in
          *[!A-Za-z0-9._@/+:-]* | [!A-Za-z0-9]*) ;;
          "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$row ;;
        esac
      done
      ;;
    *) COMPREPLY=(${COMPREPLY[@]+"${COMPREPLY[@]}"} "${rows[@]}") ;;
  esac
}

__oncall_profiles() {
  local LC_ALL=C folder path name
  __oncall_folder config '' || return 0
  for path in "$folder"/profiles/*/; do
    name=${path%/}
    name=${name##*/}
    case $name in
      *[!a-z0-9-]* | -*) ;;
      "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$name ;;
    esac
  done
}

# Adds what the words of an offer ($1) stand for and begins with cur.
__oncall_offer() {
  local IFS=' ' word
  for word in $1; do
    case $word in
      # Roles only where one is being typed: there are several for each resource.
      @roles) [[ $cur != *:* ]] || __oncall_names roles ;;
      @profiles) __oncall_profiles ;;
      @*) __oncall_names "${word#@}" ;;
      /*) paths=$word ;;
      "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$word ;;
    esac
  done
}

# What another program, whose command line begins at word $1, would offer.
__oncall_program() {
  local name
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif ((COMP_CWORD == $1)); then
    while IFS= read -r name; do COMPREPLY[${#COMPREPLY[@]}]=$name; done < <(compgen -c -- "$2")
  fi
}

__oncall() {
  local IFS=$' \t\n' profile=${ONCALL_PROFILE-} command='' offer='' takes='' option='' paths='' head='' rest
  local line=${COMP_LINE:0:COMP_POINT} word cur full piece i count=0 arguments=0 words starts
  words=()
  starts=()
  COMPREPLY=()
  # Newer versions split words at : and = too. What nothing separates is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    rest=${line#"${line%%[![:space:]]*}"}
    piece=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || piece=$rest
    if ((i > 1)) && [[ $rest == "$line" ]]; then
      words[count - 1]=${words[count - 1]}$piece
    else
      words[count]=$piece
      starts[count]=$i
      count=$((count + 1))
    fi
    line=${rest#"$piece"}
  done
  full=${words[count - 1]#[\"\']}
  for ((i = 1; i < count - 1; i++)); do
    word=${words[i]}
    if [[ -n $takes && ! ($takes == '?' && $word == -*) ]]; then
      [[ $option != --profile ]] || profile=$word
      takes=''
      continue
    fi
    takes=''
    case $word in
      --)
        __oncall_rest "$command"
        [[ $offer != '!' ]] || __oncall_program "${starts[i + 1]}" "$full"
        return 0
        ;;
      --profile=*) profile=${word#*=} ;;
      --*=*) ;;
      -*)
        option=$word
        __oncall_value "$command $word"
        ;;
      *)
        if ((arguments > 0)) || ! __oncall_child "$command/$word"; then arguments=$((arguments + 1)); fi
        ;;
    esac
  done
  cur=$full
  if [[ -n $takes && ! ($takes == '?' && $cur == -*) ]]; then
    __oncall_offer "$offer"
  elif [[ $cur == --*=* ]]; then
    head=${cur%%=*}=
    takes=''
    __oncall_value "$command ${cur%%=*}"
    cur=${cur#*=}
    [[ -z $takes ]] || __oncall_offer "$offer"
  elif [[ $cur == -* ]]; then
    __oncall_options "$command"
    __oncall_offer "$offer"
  else
    if ((arguments == 0)); then
      __oncall_commands "$command"
      __oncall_offer "$offer"
    fi
    __oncall_argument "$command $arguments"
    __oncall_offer "$offer"
  fi
  # Only what stands behind the last : or = is replaced.
  piece=${full%"$2"}
  if ((${#COMPREPLY[@]} == 0)); then :
  elif [[ $full != *"$2" ]]; then COMPREPLY=()
  else
    [[ -z $head ]] || COMPREPLY=("${COMPREPLY[@]/#/$head}")
    [[ -z $piece ]] || COMPREPLY=("${COMPREPLY[@]#"$piece"}")
  fi
  # Files only where a file is meant. Before bash 4 nothing can be said about it, and files it is.
  if [[ -z $paths && ${BASH_VERSINFO[0]} -ge 4 ]]; then
    compopt +o default
  elif [[ $paths == /d && ${BASH_VERSINFO[0]} -ge 4 ]]; then
    compopt -o dirnames
  fi 2>/dev/null
  return 0
}

complete -o bashdefault -o default -F __oncall oncall
