# r1rewards with compilers, for grading programs in a container.
#
#   docker build -t r1kit .
#   docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
#              --security-opt systempaths=unconfined r1kit doctor
#
# The three flags let the sandbox make its own namespaces and /proc, inside the container's (tier A); a host that
# restricts user namespaces (Ubuntu since 24.04) needs --cap-add SYS_ADMIN as well. Without them programs still run
# under Landlock and seccomp (tier B).
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ nodejs \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /r1kit
COPY . .
RUN pip install --no-cache-dir -c constraints.txt .
ENTRYPOINT ["r1rewards"]
