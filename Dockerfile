FROM python:3.13-slim
RUN useradd --create-home --uid 1000 tieout && mkdir /data && chown tieout /data
WORKDIR /app
COPY --chown=tieout . .
RUN chown tieout /app
USER tieout
ENV TIEOUT_DATA_DIR=/data
# The environment is made while the image is built; starting a container installs nothing. The secret key is not:
# it is made in the volume, by the first start.
RUN TIEOUT_DATA_DIR=/tmp/build ./run check && rm -rf /tmp/build
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["./run"]
CMD ["serve", "--host", "0.0.0.0", "--no-demo"]
