#!/bin/sh
# What a container of the Label Studio image does: server | worker | any command, such as quorum.
set -eu

refuse_placeholders() {
  for value in "${LABEL_STUDIO_PASSWORD:-}" "${LABEL_STUDIO_USER_TOKEN:-}" "${SECRET_KEY:-}" "${POSTGRE_PASSWORD:-}"; do
    case $value in
      "" | *change-me*)
        echo "docker: a secret is empty or still a placeholder; make .env with: sh docker/make-env.sh" >&2
        exit 1
        ;;
    esac
  done
}

case ${1:-server} in
  server)
    refuse_placeholders
    # Migrates, and makes the owner's account on the first start; later starts leave the account alone.
    python -c 'from label_studio.server import main; main()' --enable-legacy-api-token init
    home=$(python -c 'import importlib.util as u; print(u.find_spec("label_studio").submodule_search_locations[0])')
    exec python -m gunicorn --worker-class gthread --workers "${WEB_WORKERS:-2}" --threads 8 --timeout 120 --keep-alive 75 \
      --no-control-socket --pythonpath "$home" --bind 0.0.0.0:8080 label_studio_quorum.servers.wsgi:application
    ;;
  worker)
    exec python -m django rqworker critical high default low
    ;;
  *)
    exec "$@"
    ;;
esac
