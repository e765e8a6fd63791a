# Label Studio with Quorum's plugin: the server, its RQ worker and Quorum's commands, all from one image.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN groupadd --gid 1001 quorum \
 && useradd --uid 1001 --gid quorum --create-home quorum \
 && install -d -o quorum -g quorum -m 0700 /data

WORKDIR /opt/quorum
COPY pyproject.toml constraints.txt ./
# The dependencies in a layer of their own: they change less often than the code.
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *(d for e in ('server', 'postgres', 'formats', 'report', 'stats', 'pii') for d in p['optional-dependencies'][e]), sep='\n')" >requirements.txt \
 && python -m pip install -c constraints.txt -r requirements.txt
COPY README.md ./
COPY review_rules review_rules
COPY ls_config ls_config
COPY label_studio_quorum label_studio_quorum
COPY ls_plugin ls_plugin
COPY ml_backend ml_backend
COPY examples examples
RUN python -m pip install --no-deps .
COPY docker/label-studio.sh /usr/local/bin/quorum-label-studio

# Outside of the source folder, so that the installed packages are the ones that run.
WORKDIR /data
USER quorum
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["sh", "/usr/local/bin/quorum-label-studio"]
CMD ["server"]
